"""Runs as values: the same keys and the same store as the s2g command. 256 items take a minute on two CPU cores."""

import s2g


def main(num: int = 256, runs: str = "runs", *more: str) -> str:
    methods = ("cfg", "s2")
    results = [s2g.run("model=tiny_sit", f"guidance={name}", *more, num=num, runs=runs) for name in methods]
    results[1].images[0].resize((256, 256)).save(f"{runs}/first.png")
    return str(s2g.compare(results))


if __name__ == "__main__":
    print(main())
