class Lease { int ip; long count; }
