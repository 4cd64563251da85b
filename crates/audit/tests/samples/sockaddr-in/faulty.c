void f(int s) {
    struct sockaddr_in peer;
    socklen_t n = sizeof peer;
    accept(s, (struct sockaddr *)&peer, &n);
}
