/* The far side's address without a resolver: statically linked programs have none that works everywhere. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Asks the world's resolver for the addresses of www.example.com, of type A (1) or AAAA (28); 0 if there is one. */
static int ask(int type, void *address) {
    unsigned char q[64] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\3www\7example\3com\0\0", r[512];
    FILE *conf = fopen("/etc/resolv.conf", "r");
    char line[128], name[64];
    int done = -1;
    while (done < 0 && fgets(line, sizeof line, conf)) {
        struct sockaddr_in6 six;
        struct sockaddr_in four;
        memset(&six, 0, sizeof six);
        memset(&four, 0, sizeof four);
        if (sscanf(line, "nameserver %63s", name) != 1)
            continue;
        six.sin6_family = AF_INET6;
        four.sin_family = AF_INET;
        six.sin6_port = four.sin_port = htons(53);
        int is6 = inet_pton(AF_INET6, name, &six.sin6_addr) == 1;
        if (!is6 && inet_pton(AF_INET, name, &four.sin_addr) != 1)
            continue;
        int s = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
        struct timeval wait = {2, 0};
        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        connect(s, is6 ? (struct sockaddr *)&six : (struct sockaddr *)&four, is6 ? sizeof six : sizeof four);
        q[30] = type;
        q[32] = 1;
        send(s, q, 33, 0);
        int n = recv(s, r, sizeof r, 0);
        int size = type == 1 ? 4 : 16;
        if (n > size && r[7] > 0) {
            memcpy(address, r + n - size, size);
            done = 0;
        }
        close(s);
    }
    fclose(conf);
    return done;
}

static void six_to(struct sockaddr_in6 *six) {
    memset(six, 0, sizeof *six);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(80);
}

static int try(int family, void *address, socklen_t length) {
    int s = socket(family, SOCK_STREAM, 0);
    struct timeval wait = {2, 0};
    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    int result = connect(s, address, length);
    close(s);
    return result;
}
