/* Every address that the name has. */
#include "connect.h"

int main(void) {
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    six_to(&six);
    memset(&four, 0, sizeof four);
    four.sin_family = AF_INET;
    four.sin_port = htons(80);
    int have6 = !ask(28, &six.sin6_addr), have4 = !ask(1, &four.sin_addr);
    if (have6 && !try(AF_INET6, &six, sizeof six))
        return 0;
    return !(have4 && !try(AF_INET, &four, sizeof four));
}
