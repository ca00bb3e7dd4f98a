"""Types a line and a tab into a real shell on a terminal of its own: press.py SHELL SCRIPT FOLDER LINE

Prints, as JSON, what the shell has on its line afterwards, and what the screen shows.
"""
import json, os, pty, re, select, sys, time

shell, script, folder, line = sys.argv[1:5]
# Each: how it starts, what makes it quiet, and a function that prints its arguments on one line.
posix = 'got() { printf "<%s>" got "$@"; echo; }; echo ready-$((40 + 2))'
shells = {
    'bash': ('bash --norc --noprofile -i',
             'bind "set enable-bracketed-paste off"; source {}; ' + posix),
    # npm sets EDITOR, by which zsh may take vi's keys.
    'zsh': ('zsh -f -i',
            'bindkey -e; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -d ../zcompdump; source {}; ' + posix),
    'fish': ('fish --no-config -i',
             'source {}; function got; printf "<%s>" got $argv; echo; end; echo ready-(math 40 + 2)'),
}
words, setup = shells[shell]
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(folder)
    os.environ.update(PS1='READY>', TERM='dumb' if shell != 'fish' else 'xterm', COLUMNS='200', LINES='200', HOME=folder)
    os.execvp(shell, words.split())

seen = b''

def read(until, seconds=60):
    """Reads until a pattern appears after what was there before."""
    global seen
    start, end = len(seen), time.monotonic() + seconds
    while time.monotonic() < end and not re.search(until, seen[start:]):
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                break
    return seen[start:].decode(errors='replace')

def send(text):
    os.write(terminal, text.encode())

send(setup.replace('{}', script, 1) + '\n')
read(rb'ready-42')
time.sleep(0.3)
send(line + '\t')
screen, more = '', True
while more:
    more = read(rb'.', 0.7)
    screen += more
# The line as the shell holds it: run with another first word that prints its arguments.
# A word that would be evaluated is not run: that would prove nothing.
if '$(' in line:
    print(json.dumps({'words': None, 'screen': screen}))
    os.kill(pid, 9)
    sys.exit()
send('\x01got \n')
after = read(rb'<got>[^\n]*\r?\n', 5)
found = re.findall(r'<got>((?:<[^>\n]*>)*)', after)
print(json.dumps({'words': re.findall(r'<([^>]*)>', found[-1]) if found else None, 'screen': screen}))
os.kill(pid, 9)
