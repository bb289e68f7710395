// The sentences about what to look at first, in English and Korean.

export const WORDS = {
  en: {
    byHint: "look first",
    hintNames: {
      doubt: "two labels close to each other",
      surprise: "unlike others of its label",
      mislabelled: "labels that are probably wrong",
      unknown: "unlike anything known",
      diverse: "a sample of everything",
    },
    hintsStale: "{count} reviews since",
    hintsAgain: "Compare again",
    hintsRunning: "comparing the pictures…",
    hintsAll: "look first at…",
    hintOption: "{name} ({count})",
  },
  ko: {
    byHint: "먼저 볼 사진",
    hintNames: {
      doubt: "두 라벨이 비슷한 사진",
      surprise: "같은 라벨과 다른 사진",
      mislabelled: "라벨이 틀린 듯한 사진",
      unknown: "처음 보는 종류의 사진",
      diverse: "전체를 대표하는 표본",
    },
    hintsStale: "이후 검토 {count}건",
    hintsAgain: "다시 비교",
    hintsRunning: "사진을 비교하는 중…",
    hintsAll: "먼저 볼 사진…",
    hintOption: "{name} ({count})",
  },
};
