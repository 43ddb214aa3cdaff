"""Run folders -> leaderboard, statistics, plots and pictures; reads files only, never torch."""
