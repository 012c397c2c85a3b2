#!/bin/sh
# tls_front.sh ADDRESS BACKEND FOLDER   A TLS front of the shop with two bad certificates: one that has expired, and under the name
# `localhost` one for another name. Its certificates and keys are in its environment, as a Secret brings them.
set -eu
folder=$3
umask 077
mkdir -p "$folder"
printf '%s' "$EXPIRED_CERTIFICATE" >"$folder/expired.pem"
printf '%s' "$EXPIRED_KEY" >"$folder/expired.key"
printf '%s' "$OTHER_CERTIFICATE" >"$folder/other.pem"
printf '%s' "$OTHER_KEY" >"$folder/other.key"

server() { # NAMES CERTIFICATE OPTIONS
    cat <<END
    server {
        listen $address ssl $3;
        server_name $1;
        ssl_certificate $folder/$2.pem;
        ssl_certificate_key $folder/$2.key;
        location / {
            proxy_pass http://$backend;
            proxy_set_header Host shop.example;
            proxy_set_header X-Forwarded-Proto https;
        }
    }
END
}

address=$1
backend=$2
{
    echo "daemon off; master_process off; pid $folder/pid; error_log stderr; events {}"
    echo "http { access_log off;"
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "    ${kind}_temp_path $folder/$kind;"; done
    server shop.example expired default_server
    server localhost other ''
    echo "}"
} >"$folder/nginx.conf"
exec /usr/sbin/nginx -p "$folder" -e stderr -c "$folder/nginx.conf"
