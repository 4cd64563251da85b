class Lease { InetAddress ip; long count; }
