#!/usr/bin/env bash
# Installs what the jobs need, and GitHub's runner, once after each start of the machine. systemd runs it
# until it succeeds.
set -euo pipefail
installed=/run/runner-installed
[ ! -e "$installed" ] || exit 0
# shellcheck source=/dev/null
. /etc/runner/settings
# The unit's home belongs to the jobs
export DEBIAN_FRONTEND=noninteractive HOME=/root

# add_source NAME KEY-URL FINGERPRINTS REPOSITORY: a source of apt, whose file has some of these keys and no others
add_source () {
  local key=/etc/apt/keyrings/$1.gpg new fingerprint fingerprints
  new=$(mktemp)
  curl --silent --show-error --fail --proto =https --retry 5 --output "$new" "$2"
  fingerprints=$(gpg --show-keys --with-colons "$new" | awk -F: '/^pub/ { key = 1 } /^fpr/ && key { print $10; key = 0 }')
  for fingerprint in ${fingerprints:-none}; do
    if [[ " $3 " != *" $fingerprint "* ]]; then
      echo "$2 has another key: $fingerprint" >&2
      return 1
    fi
  done
  # Some have their keys as text
  if grep --quiet 'BEGIN PGP' "$new"; then gpg --dearmor --yes --output "$key" "$new"; else cp "$new" "$key"; fi
  chmod 644 "$key"
  rm "$new"
  echo "deb [arch=amd64 signed-by=$key] $4" > "/etc/apt/sources.list.d/$1.list"
}

# Updates of the system may hold the lock
echo 'DPkg::Lock::Timeout "600";' > /etc/apt/apt.conf.d/61lock
apt-get update
apt-get install --yes ca-certificates curl git gnupg jq nftables unattended-upgrades unzip
install --directory --mode=755 /etc/apt/keyrings
add_source docker https://download.docker.com/linux/ubuntu/gpg \
  9DC858229FC7DD38854AE2D88D81803C0EBFCD88 'https://download.docker.com/linux/ubuntu noble stable'
add_source azure-cli https://packages.microsoft.com/keys/microsoft.asc \
  BC528686B50D79E339D3721CEB3E94ADBE1229CF 'https://packages.microsoft.com/repos/azure-cli noble main'
add_source github-cli https://cli.github.com/packages/githubcli-archive-keyring.gpg \
  '2C6106201985B60E6C7AC87323F3D4EA75716059 7F38BBB59D064DBCB3D84D725612B36462313325' \
  'https://cli.github.com/packages stable main'
apt-get update
# Without the daemon of Docker, whose users are root: the jobs copy images from registry to registry
apt-get install --yes --no-install-recommends azure-cli docker-buildx-plugin docker-ce-cli gh

if [ "$(cat /opt/actions-runner/version 2> /dev/null)" != "$VERSION" ]; then
  archive=$(mktemp)
  trap 'rm -f "$archive"' EXIT
  curl --silent --show-error --fail --location --proto =https --retry 5 --output "$archive" \
    "https://github.com/actions/runner/releases/download/v$VERSION/actions-runner-linux-x64-$VERSION.tar.gz"
  echo "$SHA256  $archive" | sha256sum --check --quiet
  rm -rf /opt/actions-runner
  install --directory --mode=755 /opt/actions-runner
  tar --extract --gzip --no-same-owner --file "$archive" --directory /opt/actions-runner
  /opt/actions-runner/bin/installdependencies.sh
  echo "$VERSION" > /opt/actions-runner/version
fi
touch "$installed"
