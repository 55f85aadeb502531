"""A study of people's preferences: stored runs side by side without their names, votes, and what the votes say."""
