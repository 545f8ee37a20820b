# As far as docker-compose.yml uses the image's own.
set -eu
data=/var/lib/mysql
[ -d $data/mysql ] || mariadb-install-db --datadir=$data --auth-root-authentication-method=normal --skip-test-db >/dev/null
cat >/tmp/init.sql <<SQL
CREATE DATABASE IF NOT EXISTS $MYSQL_DATABASE;
CREATE USER IF NOT EXISTS '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%';
SQL
exec mariadbd --datadir=$data --bind-address=0.0.0.0 --init-file=/tmp/init.sql --pid-file=/run/mysqld/pid --socket=/run/mysqld/mysqld.sock
