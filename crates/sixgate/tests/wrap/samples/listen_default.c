/* IPV6_V6ONLY is left to the system. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in6 six, peer;
    memset(&six, 0, sizeof six);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(8080);
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    if (bind(s, (struct sockaddr *)&six, sizeof six) || listen(s, 5))
        return 1;
    for (;;) {
        socklen_t length = sizeof peer;
        close(accept(s, (struct sockaddr *)&peer, &length));
    }
}
