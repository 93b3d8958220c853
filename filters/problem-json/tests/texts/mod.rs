//! What must go, and what must stay as it is.

/// A text, and the parts of it that must not be found in what is left.
pub const SECRETS: &[(&str, &[&str])] = &[
    // Authentication schemes.
    (
        "bad header Authorization: Bearer abcDEF123456",
        &["abcDEF123456"],
    ),
    ("got Bearer 9f8e7d6c5b4a3210", &["9f8e7d6c5b4a3210"]),
    (
        "Basic dXNlcjpwYXNzd29yZA== was sent",
        &["dXNlcjpwYXNzd29yZA"],
    ),
    ("basic YWRtaW46YWRtaW4=", &["YWRtaW46"]),
    (
        "Digest username=\"bob\", response=\"6629fae49393\"",
        &["bob", "6629fae"],
    ),
    (
        "Proxy-Authorization: Negotiate YIIabcdef0123",
        &["YIIabcdef0123"],
    ),
    (
        "Cookie: theme=dark; sid=31d4d96e407aad42",
        &["31d4d96e407aad42", "dark"],
    ),
    ("Set-Cookie: session=s%3Aabc.def; Path=/", &["s%3Aabc"]),
    // Tokens by their looks.
    (
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is expired",
        &["eyJ", "c2ln"],
    ),
    ("(eyJ0eXAiOiJKV1QifQ.eyJhIjoxfQ.)", &["eyJ0", "eyJhIjoxfQ"]),
    (
        "Invalid API Key provided: sk_test_4eC39HqLyjWDarjtT1zdp7dc",
        &["4eC39Hq"],
    ),
    ("key sk-proj-abcdEFGH1234567890abcd rejected", &["abcdEFGH"]),
    (
        "push with ghp_16C7e42F292c6912E7710c838347Ae178B4a failed",
        &["ghp_16C7"],
    ),
    ("github_pat_11ABCDEFG0abcdefghijkl expired", &["11ABCDEFG0"]),
    ("glpat-AbCdEf123456_XyZ789 revoked", &["AbCdEf"]),
    ("xoxb-123456789012-abcdef from Slack", &["123456789012"]),
    (
        "AIzaSyA1234567890abcdefghijklmnopqrstuv bad key",
        &["AIzaSy"],
    ),
    (
        "SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc1s5cr",
        &["ngeVf", "TwL2i"],
    ),
    ("npm_abcdefghijklmnopqrstuvwxyz0123456789", &["npm_abc"]),
    ("hvs.CAESIJ1234567890abcdef vault", &["CAESIJ"]),
    (
        "shpat_0123456789abcdef0123456789abcdef",
        &["0123456789abcdef"],
    ),
    (
        "account AC0123456789abcdef0123456789abcdef",
        &["0123456789abcdef"],
    ),
    ("AKIAIOSFODNN7EXAMPLE is not authorized", &["AKIA"]),
    ("ASIAY34FZKBOKMUTVV7A expired", &["ASIA"]),
    (
        "used wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        &["wJalr", "CYEXAMPLE"],
    ),
    (
        "bot 110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
        &["110201543", "AAHdq"],
    ),
    ("id Zx81kQpL2mN9vB4tR7wY3cF6hJ0sD5gA is unknown", &["Zx81k"]),
    // PEM and base64.
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY----- tail",
        &["MIIEow", "BEGIN"],
    ),
    ("-----BEGIN CERTIFICATE-----\nMIIBcut", &["MIIBcut"]),
    (
        "blob MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
        &["MIIEvQ"],
    ),
    // By name.
    ("password=hunter2", &["hunter2"]),
    ("login failed: password: swordfish", &["swordfish"]),
    ("{\"password\":\"correct horse\"}", &["correct", "horse"]),
    (
        "{\\\"api_key\\\":\\\"abc def\\\",\\\"x\\\":1}",
        &["abc def"],
    ),
    ("{'client_secret': 'qwerty'}", &["qwerty"]),
    ("db.password => letmein", &["letmein"]),
    ("?access_token=abc.def&page=2", &["abc.def"]),
    ("DB_PASSWORD=p@ss:w0rd!", &["p@ss", "w0rd"]),
    ("JSESSIONID=0A1B2C3D4E5F", &["0A1B2C"]),
    (
        "session_id: 123e4567-e89b-12d3-a456-426614174000",
        &["123e4567"],
    ),
    (
        "passphrase: correct horse battery staple",
        &["correct", "staple"],
    ),
    ("wrong password 'open sesame'", &["sesame"]),
    ("The token abc123def is stale", &["abc123def"]),
    ("x-api-key: zzzzz", &["zzzzz"]),
    ("pin=4711", &["4711"]),
    ("{\"otp\": \"998877\"}", &["998877"]),
    ("aws_secret_access_key = abcd/efgh", &["abcd/efgh"]),
    ("Passwort: geheim", &["geheim"]),
    // Connections.
    (
        "postgres://app:s3cr3t@db.example.com:5432/orders refused",
        &["s3cr3t", "db.example", "orders"],
    ),
    (
        "mongodb+srv://u:p@cluster0.example.net/?w=1",
        &["u:p", "cluster0"],
    ),
    ("redis://10.0.0.5:6379/0 timed out", &["10.0.0.5", "6379"]),
    ("https://bob:hunter2@example.com/x", &["bob", "hunter2"]),
    ("jdbc:oracle:thin:@db01:1521:XE", &["db01", "oracle"]),
    (
        "root:pw@tcp(db:3306)/shop: refused",
        &["root", "pw", "3306", "shop"],
    ),
    (
        "Server=db1;Database=shop;User Id=sa;Password=Pa55",
        &["db1", "shop", "sa;", "Pa55"],
    ),
    // People.
    (
        "user bob.smith+x@mail.example.com exists",
        &["bob", "mail.example"],
    ),
    ("<jürgen@müller.example> bounced", &["rgen", "ller"]),
    ("owner is admin@localhost", &["admin"]),
    ("card 4111 1111 1111 1111 declined", &["4111", "1111"]),
    ("5500-0000-0000-0004", &["5500"]),
    ("378282246310005 expired", &["378282"]),
    // Machines.
    ("no route to 192.168.12.7:8080", &["192.168", "8080"]),
    ("client 203.0.113.9, banned", &["203.0.113.9"]),
    ("dial [2001:db8::1]:443: refused", &["2001:db8"]),
    ("::1 refused and fe80::1%eth0 too", &["::1", "fe80", "eth0"]),
    ("::ffff:10.1.2.3", &["10.1.2.3"]),
    ("orders.shop.svc.cluster.local:8080", &["orders", "8080"]),
    ("localhost:3000 is down", &["localhost", "3000"]),
    ("connect to redis-master:6379", &["redis-master"]),
    ("vault.service.consul", &["vault.service"]),
    ("ip-10-0-1-23.ec2.internal", &["ip-10"]),
    ("printer.local", &["printer"]),
    // Files.
    ("open /etc/passwd: denied", &["passwd"]),
    (
        "/home/deploy/app/config.yml not found",
        &["deploy", "config"],
    ),
    ("in src/handlers/order.py", &["handlers", "order.py"]),
    ("../../secrets/x", &["secrets"]),
    (
        "Cannot find C:\\Program Files\\App\\web.config here",
        &["Program", "Files", "web.config"],
    ),
    ("\\\\fileserver\\share\\x", &["fileserver"]),
    ("~/.ssh/id_rsa", &["id_rsa"]),
    ("file:///srv/www/index.php", &["srv"]),
    ("/app/node_modules/express/lib/router", &["express"]),
    // SQL.
    (
        "failed: SELECT id, email FROM users WHERE id = 1",
        &["email", "users"],
    ),
    ("select * from accounts", &["accounts"]),
    ("INSERT INTO orders VALUES (1)", &["orders"]),
    ("update users set admin = true", &["admin"]),
    ("DELETE FROM carts", &["carts"]),
    ("DROP TABLE students", &["students"]),
    (
        "ERROR: duplicate key value violates unique constraint \"users_email_key\"",
        &["users_email"],
    ),
    (
        "SQLSTATE[42S02]: Base table or view not found: shop.orders",
        &["shop.orders", "42S02"],
    ),
    ("ORA-00942: table or view does not exist", &["00942"]),
    (
        "Duplicate entry 'bob' for key 'users.name'",
        &["bob", "users.name"],
    ),
    ("relation \"invoices\" does not exist", &["invoices"]),
    (
        "E11000 duplicate key error collection: shop.users",
        &["shop.users"],
    ),
    ("near \"FORM\": syntax error", &["FORM"]),
    // Stacks.
    (
        "boom\n\tat com.example.Foo.bar(Foo.java:12)\n\tat x",
        &["com.example", "Foo.java", "at x"],
    ),
    (
        "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>",
        &["app.py", "module"],
    ),
    (
        "x is not a function\n    at handler (/app/routes.js:10:5)",
        &["routes.js", "handler"],
    ),
    ("at async Promise.all (index 0)", &["Promise"]),
    (
        "panic: goroutine 17 [running]:\nmain.main()",
        &["main.main"],
    ),
    ("thread 'main' panicked at src/main.rs:4:5", &["main.rs"]),
    (
        "   at Shop.Cart.Total(Int32 id) in D:\\x\\Cart.cs:line 42",
        &["Shop.Cart", "Cart.cs"],
    ),
    ("app/models/user.rb:12:in `find'", &["user.rb", "find"]),
    (
        "Uncaught exception in /srv/x.php:3 #0 {main}",
        &["x.php", "{main}"],
    ),
    ("Undefined index: id in index.php on line 7", &["index.php"]),
    (
        "Caused by: java.io.IOException: broken pipe",
        &["IOException", "pipe"],
    ),
    // Classes.
    (
        "org.springframework.dao.DataIntegrityViolationException",
        &["springframework"],
    ),
    (
        "System.NullReferenceException: Object reference",
        &["NullReference"],
    ),
    ("ActiveRecord::RecordNotFound", &["ActiveRecord"]),
    (
        "App\\Http\\Controllers\\OrderController failed",
        &["Controllers"],
    ),
    ("requests.exceptions.ConnectionError", &["requests"]),
    ("psycopg2.OperationalError", &["psycopg2"]),
    (
        "class com.example.shop.Order$Line cannot be cast",
        &["example.shop"],
    ),
    ("core::result::unwrap_failed", &["core::result"]),
];

/// What clients need to read.
pub const HARMLESS: &[&str] = &[
    "",
    "Not found",
    "User 42 not found",
    "The field 'email' is required.",
    "email must be a valid e-mail address",
    "password: must be at least 8 characters long",
    "Password is too short (minimum is 8 characters)",
    "Invalid token",
    "The access token expired",
    "token: expired",
    "Bearer token is missing",
    "basic authentication required",
    "Unexpected token '<' at position 0",
    "The value of \"age\" must be between 18 and 99.",
    "Order 2026-000123 was already paid at 12:30:45 on 2026-11-21",
    "2026-11-21T10:38:14Z",
    "Version 1.2.3 is not supported, use 2.0",
    "No route for GET /v1/users/42",
    "See https://docs.example.com/errors/out-of-stock for help",
    "application/json is not supported; use multipart/form-data",
    "either/or and n/a",
    "Amount must be <= 1,000.00 EUR",
    "Please select a plan from the list",
    "You cannot delete items from an archived project",
    "Update your settings and set a new address",
    "Insert your card into the reader",
    "The request id is 0f8fad5b-d9cb-469f-a165-70867728950e",
    "trace 0af7651916cd43dd8448eb211c80319c",
    "status:404 code:1234",
    "Rate limit of 100 requests per 60 seconds reached",
    "lodash@4.17.21 conflicts",
    "@bob was mentioned",
    "Größe muss größer als 0 sein",
    "在庫がありません",
    "Retry at 10:15",
    "Must be at least 3 (at most 10) characters",
    "e.g.The quick fox",
    "Field address.street is unknown",
    "invalid_grant",
    "resource_exhausted",
    "#/data/attributes/age",
    "#/items/0/name",
    "#/home/address",
    "Reference 4111111111111112 is unknown",
    "The order has 3 items: a, b and c",
    "I/O timeout: try again",
    "4 of 5 seats (80 %) are taken",
    "order number 1234567890123 unknown",
    "The secretary of state",
    "Signature verification failed",
    "Timezone Europe/Berlin is fine",
    "key: value",
    "Conflict: the resource was changed by someone else",
    "goroutine pool exhausted",
];
