/* The first address, or none. */
#include "connect.h"

int main(void) {
    struct sockaddr_in6 six;
    struct in_addr four;
    six_to(&six);
    int have4 = !ask(1, &four);
    if (!ask(28, &six.sin6_addr))
        return !!try(AF_INET6, &six, sizeof six);
    return !have4;
}
