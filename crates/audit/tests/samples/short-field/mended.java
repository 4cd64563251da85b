class Visit { @Column(length = 64) String ip; }
