/* A socket for each family that there is, each with IPV6_V6ONLY said. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct pollfd all[2];
    int count = 0, on = 1;
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    memset(&six, 0, sizeof six);
    memset(&four, 0, sizeof four);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(8080);
    four.sin_family = AF_INET;
    four.sin_port = htons(8080);
    for (int i = 0; i < 2; i++) {
        int s = socket(i ? AF_INET : AF_INET6, SOCK_STREAM, 0);
        if (s < 0)
            continue;
        if (!i)
            setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        if (bind(s, i ? (struct sockaddr *)&four : (struct sockaddr *)&six, i ? sizeof four : sizeof six) || listen(s, 5))
            return 1;
        all[count].fd = s;
        all[count++].events = POLLIN;
    }
    for (;;) {
        poll(all, count, -1);
        for (int i = 0; i < count; i++)
            if (all[i].revents)
                close(accept(all[i].fd, 0, 0));
    }
}
