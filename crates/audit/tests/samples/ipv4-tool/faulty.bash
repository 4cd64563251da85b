ifconfig eth0 up
