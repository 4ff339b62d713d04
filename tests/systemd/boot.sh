#!/usr/bin/env bash
# Boots a minimal Debian in a virtual machine and runs drill.py in it; nothing of this system is changed or shared.
#
# Needs root, mmdebstrap, qemu-system-x86 and e2fsprogs, and takes a quarter of an hour, since the processor is emulated;
# ACCEL=kvm uses the real one. Debian's packages come from this system's own apt sources, Python's from pip as it is
# configured here. Everything lies in build/systemd; console.log there holds what was said.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=build/systemd suite=bookworm python=3.11
packages=systemd,systemd-sysv,udev,dbus,kmod,linux-image-cloud-amd64,python3,python3-venv,sudo,mosquitto
mkdir -p "$place/goods/wheels" "$place/boot"

sources() { # of apt, in the place where this system has them
  find /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources -maxdepth 0 2>/dev/null | head -n 1
}

debian() { # the system disk, kept until this file changes
  [ "$place/system.ext4" -nt tests/systemd/boot.sh ] && return
  rm -rf --one-file-system "$place/system"
  mmdebstrap --quiet --variant=minbase --include="$packages" \
    --customize-hook='echo drill >"$1/etc/hostname"; echo 127.0.0.1 localhost drill >"$1/etc/hosts"' \
    --customize-hook='copy-in tests/systemd/drill.service /etc/systemd/system' \
    --customize-hook='chroot "$1" systemctl --quiet enable drill' \
    --customize-hook='chroot "$1" systemctl --quiet disable mosquitto' \
    "$suite" "$place/system" "$(sources)"
  cp "$place"/system/boot/vmlinuz-* "$place/boot/kernel"
  cp "$place"/system/boot/initrd.img-* "$place/boot/initrd"
  rm -f "$place/system.ext4"
  mke2fs -q -t ext4 -d "$place/system" "$place/system.ext4" 4G
  rm -rf --one-file-system "$place/system"
}

goods() { # the disk with a release, and what the drill works with
  rm -f "$place"/goods/nearfield-*.whl "$place/goods.ext4"
  for lock in coordinator node; do
    .venv/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
      --only-binary :all: --python-version "$python" -r "requirements/$lock.txt" -d "$place/goods/wheels"
  done
  .venv/bin/python -m hatchling build -t wheel -d "$place/goods"
  cp -r requirements deploy/demo/inspection deploy/demo/clip/line.mp4 tests/systemd/drill.py "$place/goods"
  mke2fs -q -t ext4 -L drill -d "$place/goods" "$place/goods.ext4" 500M
}

boot() {
  timeout 2400 qemu-system-x86_64 -accel "${ACCEL:-tcg,thread=multi}" -cpu max -smp 2 -m 2048 -nic none -nographic \
    -kernel "$place/boot/kernel" -initrd "$place/boot/initrd" -append "root=/dev/vda rw console=ttyS0 quiet" \
    -drive "file=$place/system.ext4,format=raw,if=virtio,snapshot=on" \
    -drive "file=$place/goods.ext4,format=raw,if=virtio,readonly=on" </dev/null | tee "$place/console.log"
}

debian
goods
boot
grep -q "THE DRILL PASSED" "$place/console.log"
