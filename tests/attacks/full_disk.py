"""Every writer on disks with less and less room: a sentence, and the old one stays.

    python tests/attacks/full_disk.py 8      # 8 amounts of free space each; Linux

For each artefact a small disk (a tmpfs) holds a good version. With 0 to as many bytes
free as the next one takes, it must come whole, or raise an OSError of one sentence,
leave nothing and the good version as it was. A crash of the process counts as a loss.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve()


def attack(kind, count):
    """All tries for one artefact, in this process; prints `written refused bad`."""
    sys.path.insert(0, str(HERE.parent))
    import artefacts

    write, check = artefacts.ALL[kind]
    folder = pathlib.Path(tempfile.mkdtemp())
    written = refused = 0
    bad = []
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder])
    write(folder, 1)
    sizes = [x.stat().st_size for x in folder.rglob("*") if x.is_file()]
    need = int(1.5 * sum(sizes)) + 2**16
    for i in range(count):
        subprocess.run(["umount", folder], check=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder]
        subprocess.run(mount, check=True)
        write(folder, 1)
        before = check(folder)
        room = need * i // max(1, count - 1)
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        (folder / "filler").write_bytes(bytes(max(0, free - room)))
        try:
            write(folder, 2)
            written += 1
            same = check(folder) == before
        except OSError as error:
            refused += 1
            same = check(folder) != before
            text = str(error)
            if len(text) > 400 or "Free space" not in text or "Errno" in text[12:]:
                bad.append(f"{room} bytes: it says {text!r}")
        except BaseException as error:
            bad.append(f"{room} bytes: {type(error).__name__}: {str(error)[:300]}")
            same = check(folder) != before
        if same:
            bad.append(f"{room} bytes: the wrong version is there")
        if artefacts.leftovers(folder):
            bad.append(f"{room} bytes: left {artefacts.leftovers(folder)}")
    subprocess.run(["umount", folder])
    folder.rmdir()
    print(f"{written} written, {refused} refused, {len(bad)} bad")
    print("\n".join(bad))


def main():
    """Attack each artefact in a process of its own, within a mount namespace."""
    if os.environ.get("OWN_MOUNTS") is None:
        command = ["unshare", "-rm", sys.executable, *sys.argv]
        os.execvpe("unshare", command, {**os.environ, "OWN_MOUNTS": "1"})
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    kinds = sys.argv[2:] or [
        *("preset", "numbers", "saved_model", "tflite"),
        *("entries", "model", "checkpoint", "figure"),
    ]
    for kind in kinds:
        call = f"import full_disk; full_disk.attack({kind!r}, {count})"
        process = subprocess.run(
            [sys.executable, "-c", call],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE.parents[2]}"},
        )
        print(f"{kind:12}{process.stdout.strip()}", flush=True)
        if process.returncode:
            print(f"  CRASHED: {process.returncode}\n{process.stderr[-1500:]}")


if __name__ == "__main__":
    main()
