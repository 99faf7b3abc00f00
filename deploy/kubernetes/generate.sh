#!/bin/sh
# Prints itemlens.yaml, which is the chart with its default values. A test compares. From the checkout:
#   deploy/kubernetes/generate.sh > manifest && mv manifest deploy/kubernetes/itemlens.yaml
set -eu
cat <<'HEADER'
# Written by generate.sh from the chart in deploy/helm with its default values: change those.
#
# One server with its own disk. Before it: the image (Dockerfile), the models (models.yaml), and the secrets:
#   (umask 077; itemlens keys create operator --role admin --file keys.json > operator.key)
#   kubectl create secret generic itemlens-keys --from-file=keys.json
#   kubectl create secret tls itemlens-tls --cert=server.pem --key=server.key
#   kubectl apply -f itemlens.yaml
HEADER
exec helm template itemlens "$(dirname "$0")/../helm/itemlens"
