if [ "$REMOTE_ADDR" = 127.0.0.1 ]; then trusted=1; fi
