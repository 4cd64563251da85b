/* What was in memory is the flow information. */
#include "connect.h"

int main(void) {
    struct sockaddr_in6 six;
    memset(&six, 0x5a, sizeof six);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(80);
    six.sin6_scope_id = 0;
    if (ask(28, &six.sin6_addr))
        return 1;
    try(AF_INET6, &six, sizeof six);
    return 0;
}
