/* The length of the largest address, not of this one. */
#include "connect.h"

int main(void) {
    struct sockaddr_storage any;
    memset(&any, 0, sizeof any);
    six_to((struct sockaddr_in6 *)&any);
    if (ask(28, &((struct sockaddr_in6 *)&any)->sin6_addr))
        return 1;
    return !!try(AF_INET6, &any, sizeof any);
}
