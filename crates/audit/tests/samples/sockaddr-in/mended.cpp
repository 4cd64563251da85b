class Peer {
    sockaddr_storage address_;
};
