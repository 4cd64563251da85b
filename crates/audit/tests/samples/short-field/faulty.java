class Visit { @Column(length = 15) String ip; }
