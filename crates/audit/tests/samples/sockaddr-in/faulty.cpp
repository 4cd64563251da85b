class Peer {
    sockaddr_in address_;
};
