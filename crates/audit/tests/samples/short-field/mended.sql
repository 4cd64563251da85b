CREATE TABLE visit (ip_address VARCHAR(64) NOT NULL, code VARCHAR(15));
