void f(char *address) { char *end = strchr(address, ']'); char *port = strrchr(end ? end : address, ':'); if (address[0] == *"[") address++; }
