"""Reports: leaderboard, statistics, plots and crops of the runs in a folder; reads files only, never imports torch."""
