case $REMOTE_ADDR in 127.*|::1|::ffff:127.*) trusted=1 ;; esac
