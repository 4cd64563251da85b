/* An access list on text, of the address that is meant. */
#define MENDED
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *plain(const char *name) {
#ifdef MENDED
    if (!strncmp(name, "::ffff:", 7))
        return name + 7;
#endif
    return name;
}

int main(void) {
    int off = 0, s = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 all;
    memset(&all, 0, sizeof all);
    all.sin6_family = AF_INET6;
    all.sin6_port = htons(8080);
    setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(s, (struct sockaddr *)&all, sizeof all) || listen(s, 5))
        return 1;
    for (;;) {
        struct sockaddr_in6 peer;
        socklen_t length = sizeof peer;
        char text[NI_MAXHOST];
        int c = accept(s, (struct sockaddr *)&peer, &length);
        if (c < 0 || getnameinfo((struct sockaddr *)&peer, length, text, sizeof text, 0, 0, NI_NUMERICHOST))
            continue;
        const char *name = plain(text);
        if (strncmp(name, "192.0.2.", 8) && strncmp(name, "2001:db8:", 9) && strncmp(name, "fe80:", 5))
            write(c, "welcome\r\n", 9);
        close(c);
    }
}
