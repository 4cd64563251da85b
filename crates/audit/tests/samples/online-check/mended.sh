ping -c1 www.example.com && echo online
