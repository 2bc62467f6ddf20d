-- The database of the old system: the tables of its design document,
-- with typical rows.
CREATE TABLE member (
    member_id VARCHAR(100) PRIMARY KEY,
    member_pwd VARCHAR(100) NOT NULL,
    member_nm VARCHAR(100) NOT NULL
);
CREATE TABLE pizza_types (
    pizza_type_id VARCHAR(50) PRIMARY KEY,
    pizza_nm VARCHAR(50) NOT NULL,
    pizza_categ VARCHAR(50) NOT NULL,
    pizza_img_url VARCHAR(100) NOT NULL
);
CREATE TABLE pizza (
    pizza_id VARCHAR(50) PRIMARY KEY,
    pizza_type_id VARCHAR(50) REFERENCES pizza_types(pizza_type_id),
    size VARCHAR(50) NOT NULL,
    price FLOAT NOT NULL
);
CREATE TABLE branch (
    bran_id VARCHAR(100) PRIMARY KEY,
    bran_nm VARCHAR(100) NOT NULL
);
CREATE TABLE orders (
    order_id VARCHAR(50) PRIMARY KEY,
    member_id VARCHAR(50) NOT NULL,
    bran_id VARCHAR(100) REFERENCES branch(bran_id),
    date VARCHAR(50) NOT NULL,
    time VARCHAR(50) NOT NULL
);
CREATE TABLE order_detail (
    order_detail_id INTEGER PRIMARY KEY,
    order_id VARCHAR(50) REFERENCES orders(order_id),
    pizza_id VARCHAR(50) REFERENCES pizza(pizza_id),
    quantity INTEGER NOT NULL
);

INSERT INTO member VALUES
    ('kim', 'clear text', '김철수'),
    ('lee', 'pbkdf2_sha256$600000$c2FsdA$aGFzaA', '이영희');
INSERT INTO pizza_types VALUES
    ('bbq_ckn', 'The Barbecue Chicken Pizza', 'Chicken', 'images/bbq_ckn.png'),
    ('hawaiian', 'The Hawaiian Pizza', 'Classic', 'images/hawaiian.png'),
    ('hawaiian2', 'The Hawaiian Pizza', 'Classic', 'images/hawaiian.png');
INSERT INTO pizza VALUES
    ('bbq_ckn_s', 'bbq_ckn', 'S', 12.75),
    ('hawaiian_m', 'hawaiian', 'M', 13.25),
    ('of_no_type', NULL, 'L', 0.1);
INSERT INTO branch VALUES ('BRANCH001', '강남점'), ('BRANCH002', '홍대점');
INSERT INTO orders VALUES
    ('1', 'kim', 'BRANCH001', '2025-08-01', '12:00:00'),
    ('2', 'lee', NULL, '2025-8-2', '9시');
INSERT INTO order_detail VALUES
    (1, '1', 'bbq_ckn_s', 2),
    (41, '1', 'hawaiian_m', 1),
    (17, '2', NULL, 3);
