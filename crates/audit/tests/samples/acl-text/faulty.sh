case $peer in 10.*|192.168.*) allow=1 ;; esac
