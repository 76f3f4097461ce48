# For the scripts beside this: buildah in a folder of its own, `$store`, which goes away with the script.
# shellcheck shell=bash
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
# Which signatures images need is said in a file of the machine; what these scripts read was made a moment ago.
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$store/policy.json"
in_store() {
  STORAGE_DRIVER=vfs buildah --root "$store/root" --runroot "$store/run" "$@"
}
