/* Am I online? Asked of one IPv4 address. */
#include "connect.h"

int main(void) {
    struct sockaddr_in four;
    memset(&four, 0, sizeof four);
    four.sin_family = AF_INET;
    four.sin_port = htons(80);
    inet_pton(AF_INET, "198.51.100.10", &four.sin_addr);
    return !!try(AF_INET, &four, sizeof four);
}
