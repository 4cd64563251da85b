/* A socket for each family, of which one is used. */
#include "connect.h"

int main(void) {
    struct sockaddr_in6 six;
    int spare = socket(AF_INET, SOCK_STREAM, 0);
    six_to(&six);
    return ask(28, &six.sin6_addr) || try(AF_INET6, &six, sizeof six);
}
