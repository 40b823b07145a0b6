#!/usr/bin/env python3
"""Makes django_passwords.json: passwords as Django itself encodes them, each checked by Django itself.

    ./django_passwords.py PYTHON... > django_passwords.json

Each PYTHON is an interpreter with some version of Django installed, and with argon2-cffi and bcrypt. Every hasher that the version
has encodes a password of letters and one of other scripts, as it does by default and, once, with an odd salt where it takes one; those that
treat lengths apart also one of 100 bytes and an empty one. (Of PBKDF2 with SHA-1, which takes longest to be tested, one is enough.) Salts differ from run to run, so that a new run changes every row.
"""

import json
import subprocess
import sys
import warnings

PASSWORDS = ["correct horse", "пароль 密码 🐎"]
LONG_AND_EMPTY = ["long " * 20, ""]
ODD_SALTS = ["a+b/c=d seed", "sälz-密码-12345"]
HASHERS = """PBKDF2PasswordHasher PBKDF2SHA1PasswordHasher Argon2PasswordHasher BCryptSHA256PasswordHasher BCryptPasswordHasher
    ScryptPasswordHasher SHA1PasswordHasher MD5PasswordHasher UnsaltedSHA1PasswordHasher UnsaltedMD5PasswordHasher
    CryptPasswordHasher""".split()
# that treat lengths apart; that take any salt, where the others have one of a form of its own, or none
LENGTHS = ["bcrypt_sha256", "sha1", "md5", "unsalted_sha1", "unsalted_md5"]
SALTED = ["pbkdf2_sha256", "argon2", "scrypt", "sha1", "md5"]


def main():
    if sys.argv[1:] == ["--these"]:
        return json.dump(vectors(), sys.stdout)
    parts = [json.loads(subprocess.check_output([python, __file__, "--these"])) for python in sys.argv[1:]]
    lines = [json.dumps(vector, sort_keys=True) for part in parts for vector in part]
    print("[\n" + ",\n".join(lines) + "\n]")


def vectors():
    warnings.simplefilter("ignore")
    import django
    from django.conf import settings
    from django.contrib.auth import hashers

    present = [name for name in HASHERS if hasattr(hashers, name)]
    settings.configure(PASSWORD_HASHERS=["django.contrib.auth.hashers." + name for name in present])
    django.setup()
    found = []
    for name in present:
        hasher = getattr(hashers, name)()
        salts = [None] + (ODD_SALTS if hasher.algorithm in SALTED else [])
        for salt in salts:
            lengths = LONG_AND_EMPTY if hasher.algorithm in LENGTHS else []
            for password in PASSWORDS + lengths if salt is None and hasher.algorithm != "pbkdf2_sha1" else PASSWORDS[:1]:
                encoded = hasher.encode(password, salt or hasher.salt())
                assert hashers.check_password(password, encoded), (django.get_version(), encoded)
                assert not hashers.check_password(password + "x", encoded) or "crypt" in encoded[:5]
                found.append(
                    {"django": django.get_version(), "encoded": encoded, "hasher": name, "password": password}
                )
    return found


if __name__ == "__main__":
    main()
