rsync -a /var/log/ 10.20.30.40:/srv/
