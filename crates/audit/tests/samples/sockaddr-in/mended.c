void f(int s) {
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    accept(s, (struct sockaddr *)&peer, &n);
}
