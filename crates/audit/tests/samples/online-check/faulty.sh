ping -c1 8.8.8.8 && echo online
