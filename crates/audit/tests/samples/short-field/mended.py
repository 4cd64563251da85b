class Visit(Model):
    ip = GenericIPAddressField()
SCHEMA = "CREATE TABLE visit (ip VARCHAR(64), code VARCHAR(15))"
