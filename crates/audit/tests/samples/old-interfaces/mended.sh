cat /proc/net/tcp /proc/net/tcp6
