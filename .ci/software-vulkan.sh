#!/usr/bin/env bash
# A software Vulkan driver for tests on a machine without a GPU: SwiftShader, out of Debian's chromium packages.
#
#   eval "$(.ci/software-vulkan.sh DIR)"
#
# Unpacks into DIR what is not there yet (32 MB to download, 6 MB kept) and prints the variables to export.
# Mesa's lavapipe does not serve: it crashes on SPIR-V and takes minutes on WGSL.
set -euo pipefail

dir=${1:?usage: software-vulkan.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [ ! -e "$dir/complete" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    {
        # apt drops to its own user, who must be able to write here.
        chmod 755 "$work"
        cd "$work"
        apt-get update -qq || true # a stale index may still hold the packages
        # The driver moved from chromium to chromium-common in late 2026.
        for package in libvulkan1 chromium-common chromium; do
            apt-get download -qq -o APT::Sandbox::User=root "$package"
            dpkg-deb -x "$package"_*.deb unpacked
            [ ! -e unpacked/usr/lib/chromium/libvk_swiftshader.so ] || break
        done
        cp unpacked/usr/lib/chromium/{libvk_swiftshader.so,vk_swiftshader_icd.json} "$dir/"
        cp unpacked/usr/lib/*-linux-*/libvulkan.so.1 "$dir/"
        touch "$dir/complete"
    } >&2
fi

echo "export VK_DRIVER_FILES='$dir/vk_swiftshader_icd.json'"
echo "export LD_LIBRARY_PATH='$dir'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
