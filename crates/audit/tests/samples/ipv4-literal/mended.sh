rsync -a /var/log/ logs.example.com:/srv/
