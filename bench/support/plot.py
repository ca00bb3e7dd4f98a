"""Draws the plots that standard input names as JSON (report.ts: Plot, and `file`)."""
import json, sys
import matplotlib
matplotlib.use('svg')
# One input gives one file: no dates, no ids at random. Text stays text.
matplotlib.rcParams.update({'svg.hashsalt': 'initbox', 'svg.fonttype': 'none', 'font.family': 'sans-serif', 'font.size': 10})
import matplotlib.pyplot as plt

colours = ['#1f6feb', '#8b949e', '#d29922', '#a371f7', '#3fb950', '#f85149']

def points(axis, plot):
    """Every value in a line of its own, with the median as a bar: a distribution shows its tail."""
    series = plot['series'][::-1]
    for row, one in enumerate(series):
        values = sorted(v for v in one['values'] if v is not None)
        colour = colours[(len(series) - 1 - row) % len(colours)]
        spread = [row + ((i * 0.618) % 1 - 0.5) * 0.5 for i in range(len(values))]
        axis.scatter(values, spread, s=14, color=colour, alpha=0.7, linewidths=0)
        axis.vlines(values[len(values) // 2], row - 0.35, row + 0.35, color=colour, linewidth=2)
    axis.set_yticks(range(len(series)), [one['name'] for one in series])
    axis.set_xlim(left=0)

def bars(axis, plot):
    groups, series = plot['groups'], plot['series']
    height = 0.8 / len(series)
    for index, one in enumerate(series):
        places = [row + (index - (len(series) - 1) / 2) * height for row in range(len(groups))]
        values = [v or 0 for v in one['values']]
        drawn = axis.barh(places, values, height * 0.9, color=colours[index % len(colours)], label=one['name'])
        axis.bar_label(drawn, ['' if v is None else f'{v:.3g}' if v < 1000 else f'{v:.0f}' for v in one['values']], padding=3, fontsize=8)
    axis.set_yticks(range(len(groups)), groups)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    if len(series) > 1:
        axis.legend(loc='best', frameon=False)

for plot in json.load(sys.stdin):
    rows = len(plot['series']) if plot['kind'] == 'points' else len(plot['groups']) * (0.4 + 0.3 * len(plot['series']))
    figure, axis = plt.subplots(figsize=(8, 1.3 + 0.55 * rows), layout='constrained')
    {'points': points, 'bars': bars}[plot['kind']](axis, plot)
    axis.set_title(plot['title'], loc='left', fontsize=11)
    axis.set_xlabel(plot['unit'])
    axis.spines[['top', 'right']].set_visible(False)
    axis.grid(axis='x', color='#d0d7de', linewidth=0.5)
    axis.set_axisbelow(True)
    figure.savefig(plot['file'], metadata={'Date': None})
    plt.close(figure)
