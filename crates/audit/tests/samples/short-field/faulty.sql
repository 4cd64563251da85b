CREATE TABLE visit (ip_address VARCHAR(15) NOT NULL, code VARCHAR(15));
