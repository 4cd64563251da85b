class Visit(Model):
    ip = CharField(max_length=15)
SCHEMA = "CREATE TABLE visit (ip VARCHAR(15))"
