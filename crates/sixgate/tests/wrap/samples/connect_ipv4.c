/* IPv4 alone, whatever the name has. */
#include "connect.h"

int main(void) {
    struct sockaddr_in four;
    memset(&four, 0, sizeof four);
    four.sin_family = AF_INET;
    four.sin_port = htons(80);
    return ask(1, &four.sin_addr) || try(AF_INET, &four, sizeof four);
}
