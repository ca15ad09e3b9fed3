# Makes what is missing of the secrets, 256 random bits each, and gives folders to those who use them. What is
# there is never changed.
set -eu
umask 077
secret() {
  [ -s "$1" ] && return
  head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$1.new"
  mv "$1.new" "$1"
}
for name in root-token cluster-key link-key; do
  secret "/secrets/$name"
done
secret /grafana-secret/admin-password
# The user of MDFS and of Prometheus here, and that of Grafana.
chown -R 65532:65532 /secrets /metrics-token
chown 65532:65532 /prometheus /worker-0 /worker-1 /worker-2
chown -R 472:0 /grafana-secret
