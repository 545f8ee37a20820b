# A stand-in for mysql:8.4, with MariaDB.
FROM standin:base
RUN rm -rf /var/lib/mysql/* && mkdir -p /run/mysqld && chown mysql:mysql /var/lib/mysql /run/mysqld && ln -sf mariadb /usr/bin/mysql
COPY mysql.sh /entrypoint
ENTRYPOINT ["/bin/sh", "/entrypoint"]
