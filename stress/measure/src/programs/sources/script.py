import hashlib, json, os, re, threading

def work(number, results):
    objects = [{"number": i, "name": "n%d" % i, "list": list(range(i % 20))} for i in range(6000)]
    text = json.dumps(objects)
    assert json.loads(text) == objects
    words = sorted(re.findall(r"n\d+", text), key=lambda word: hashlib.md5(word.encode()).digest())
    results[number] = hashlib.sha256((text + " ".join(words)).encode()).hexdigest()

results = [None] * 4
threads = [threading.Thread(target=work, args=(i, results)) for i in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("\n".join(results))
for generation in range(50):
    thread = threading.Thread(target=lambda: [bytes(i * 100) for i in range(100)])
    thread.start()
    thread.join()
for number in range(5):
    child = os.fork()
    if child == 0:
        os._exit(len([str(i) for i in range(5000)]) % 256)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
